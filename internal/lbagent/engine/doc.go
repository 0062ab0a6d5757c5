// Package engine carries plans out with a real HAProxy and a real keepalived, and
// tells how they are doing. It implements lbagent.Applier.
//
// Both judge a plan before either of them is changed. Neither is started or stopped
// here: whoever runs the machine runs them, and starts them again when they end, so
// that nothing that happens to the agent touches a connection.
package engine
