"""Files of tables: each format's bytes become a `Content`."""
