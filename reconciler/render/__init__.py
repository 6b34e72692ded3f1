"""Components to objects. Pure and deterministic; `engine.PythonRenderer` is the way in, `catalog` names what it can render."""
