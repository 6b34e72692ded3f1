// Package v1beta1 has what Helm names of it; client-go's list of versions, as it is here, has it already.
package v1beta1

// AddToScheme adds nothing.
func AddToScheme(any) error { return nil }
