"""Work of any kind: its plan, and how the outputs of engines are kept. Knows no Flask."""
