// Package kubernetes is imported by Helm for the version of its module alone.
package kubernetes
