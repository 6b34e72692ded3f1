"""Components to objects. Pure and deterministic; `engine.ComponentRenderer` is the way in, `catalog` names what it can render."""
