"""Reliability figures of models: from the score services themselves, or through the tools of an MCP server.

Either source is only ever used behind `kept`: asking a service has side effects there.
"""
