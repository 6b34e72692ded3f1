module reconciler.dev/renderers/boundary

go 1.26.0
