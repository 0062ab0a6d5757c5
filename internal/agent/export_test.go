package agent

// Files and Disk let tests cut the agent off from its disk.
type (
	// Files is files.
	Files = files
	// Disk is disk.
	Disk = disk
)

// On returns c with another disk.
func (c Config) On(f Files) Config {
	c.files = f
	return c
}

// Times of the agent that tests advance their clock by.
const (
	AnswerWithin   = answerWithin
	KeepOperations = keepOperations
	LookEvery      = lookEvery
)

// RecoverPanics is recoverPanics.
var RecoverPanics = recoverPanics

// Age is how long ago something was by a clock that may have been set.
var Age = age
