// Package onlooker looks at simulated hosts all along, while others do there what they
// will, and remembers what must never be: not for a moment, and whatever it looks like
// in the end. It reads the fabric and asks neither manager nor agents.
//
// What is done to the product while it looks belongs to the suites under test/.
package onlooker
