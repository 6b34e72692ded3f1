// Package rest has the one type of client-go that Helm's engine names. There is no cluster here, so nothing is behind it.
package rest

// Config is never given: without one, a template's lookup finds nothing.
type Config struct{}
