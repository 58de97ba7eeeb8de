"""The knowledge store on Elasticsearch, and the records that are written there.

Elasticsearch finds candidates and counts; what candidates are worth is decided by `safety_governor.search`, as for the embedded
store. Whatever Elasticsearch does not answer completely is unknown: an error with one sentence, never an empty answer. It uses
nothing that a basic licence or a small distribution lacks: no scripts, no ES|QL, no retrievers.
"""

from safety_governor.adapters.elasticsearch.loading import Loader
from safety_governor.adapters.elasticsearch.records import Record, Records, Written
from safety_governor.adapters.elasticsearch.store import ElasticsearchKnowledge

__all__ = ["ElasticsearchKnowledge", "Loader", "Record", "Records", "Written"]
