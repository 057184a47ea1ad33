"""How fast the server is, against bare uvicorn and its peers, where the time goes, and whether it lasts."""
