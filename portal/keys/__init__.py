"""API keys: made, named, revoked by their owner; verified and spent on by machine clients.

Calls usage to spend. A key follows its owner's state; deletion revokes it for good.
"""
