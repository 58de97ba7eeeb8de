"""Read-only tools for planning agents: runbooks, evidence, policies, live logs and reliability scores over MCP.

It can read knowledge and can reach nothing that decides or acts; the import contract holds it to that.
"""
