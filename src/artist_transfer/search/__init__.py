"""Songs like this song, artists like this artist: an index of embeddings, its neighbours, and queries of it."""
