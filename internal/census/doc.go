// Package census asks all hosts what they hold. Whoever must know that a VM is nowhere, or
// that nothing is held which nobody knows, asks here, so that there is one way to ask and
// one understanding of who could not be asked. It changes nothing on any host and in no
// object, decides nothing about what it finds, and guesses nothing of those who are silent.
package census
