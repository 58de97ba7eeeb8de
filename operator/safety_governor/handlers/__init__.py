"""The kopf edge. kopf is a doorbell: it tells that an incident changed, and everything else happens elsewhere."""
