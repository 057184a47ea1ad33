"""The payload log: rows and answers of some requests, in files for audits and later training."""
