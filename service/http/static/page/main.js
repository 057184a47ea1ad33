// Starts the page: chooses a model and a version, and shows what belongs to it.
