// Package console makes of what a guest wrote to its console what a person wants
// to read who cannot log in: how far the first configuration is, and the few lines
// that say why it went wrong.
//
// It is pure. Agents use Read on what their driver gives them, so that neither
// secrets nor the whole of a console cross the wire. The manager, which knows what
// was in the seed, uses Withhold on what it is told by an agent.
//
// # What is kept back
//
// By its form: bootstrap tokens, runs of 32 hexadecimal digits or more (the hash of a
// CA, sha256:..., stays), keys of AWS, hashed passwords, PEM blocks, user and password
// in URLs, and text that looks like base64 of something random. By what introduces it:
// values of passwords, tokens and their like in YAML (blocks, too), JSON (quoted
// again, too), XML and flags, and passwords on the command lines of a few programs.
//
// By its content, in the manager: whatever in the seed has such a form, or is a
// long word that nobody would type, also if it was written there in base64 or packed
// by gzip. Eight consecutive characters of it are enough.
//
// Both look at lines as they are and as they would be had nobody wrapped them, and
// at text without the sequences that colour it: a secret that is cut in two by
// either is found all the same. When in doubt, text is kept back: so are UUIDs without
// dashes, IDs of containers and of commits. UIDs with dashes stay.
//
// # What is not kept back
//
// A password of a name that is none of those known here, or whose name and value are
// values themselves (name: PASSWORD, value: ...), without quotes all words but the
// first, unless it is a passphrase, and a block's lines but the first where a console
// has lost the spaces in front of them: these stay hidden only if they are in the
// seed. Fewer than eight characters of a secret that has more, secrets of fewer than
// four, what the seed has packed otherwise, deeper, or beyond half a megabyte, and the
// part of a secret behind a line's end where the console begins.
//
// Nothing may enter that asks a host or the API server for anything.
package console
