"""One file a kind of fault; every module here is found by itself."""
