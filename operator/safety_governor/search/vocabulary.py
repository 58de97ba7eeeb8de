"""Words of operations that mean the same, or nearly the same, whoever writes them.

Tables and nothing else. `SAME` are spellings of one word: they are one term everywhere. `RELATED` are ways to describe
one trouble: they only soften the absence of a title's word from a question. Add a word when it holds for operations in
general, never to make one question find one runbook.
"""

SAME = (
    "error err",
    "configuration config conf cfg",
    "certificate cert",
    "filesystem fs",
    "memory mem",
    "database db",
    "kubernetes kube k8s",
    "persistentvolume pv",
    "persistentvolumeclaim pvc",
    "connection conn",
    "authentication authn",
    "authorization authorisation authz",
    "namespace ns",
    "deployment deploy",
    "application app",
    "information info",
    "percentage percent pct",
    "message msg",
    "request req",
    "response resp",
    "number num",
    "average avg",
    "maximum max",
    "minimum min",
    "directory dir",
    "address addr",
    "replication repl",
    "synchronization synchronisation sync",
    "utilization utilisation util",
    "postgresql postgres pg",
    "elasticsearch elastic es",
    "rabbitmq rabbit",
)
"""One term in several spellings; the first names it."""

RELATED = (
    "down disappeared unreachable unavailable absent missing lost inactive stopped gone unhealthy",
    "fail failure failing failed error errors unable cannot broken rejected",
    "slow latency duration lag delay behind",
    "full filling exhausted limit exceeded capacity space quota",
    "restart restarting crash crashing crashlooping crashloop loop",
    "expire expiration expiry expired expiring renewal",
    "stuck stalled hanging progress pending waiting queued",
    "mismatch inconsistent different differ disagree divergent unequal skew",
    "memory ram heap oom",
    "disk storage volume filesystem",
    "ready readiness unready",
    "throttling throttled limited rate",
    "duplicate duplicated identical",
    "flapping changed changing unstable often",
    "drop dropped dropping discarded lost",
    "high exceed exceeding above many too large big",
    "low insufficient few lack fewer less",
    "instance node member replica peer",
    "completion complete completed finish finished",
    "send sending sent deliver delivered notification notify",
)
"""Groups of words that describe one kind of trouble; a word may be in several."""

EMPTY = (
    "a about after again also an and are as at be because been before being both but by can could did do does during each "
    "few for from further get gets had has have having how i if in into is it its itself just many may me might more most "
    "must my of on one or other our own per same should since so some such than that the their them then there these they "
    "this those through to too until us very was we were what when where whether which while who whom why will with within "
    "would you your alert alerts fires firing triggered"
)
"""Words that say nothing. "not", "no", "all", "any", "out", "over", "down", "up" and "off" do: in an alert they are the point."""
