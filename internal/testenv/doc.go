// Package testenv starts an API server with the kinds of Capstan and Cluster API
// for the suites of the controllers.
//
// It runs no controller and knows no controller: each suite adds the ones it is
// about. Only tests may import it.
package testenv
