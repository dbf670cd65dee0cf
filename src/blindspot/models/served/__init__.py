"""The backends that ask a server over HTTP: completions (``served:ID``) and chat (``chat:ID``)."""
