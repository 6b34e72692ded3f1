"""Components to objects. One file for each kind of component or group of traits."""
