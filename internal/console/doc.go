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
// By its form: bootstrap tokens, keys of 64 hexadecimal digits (the hash of a CA,
// sha256:..., stays), PEM blocks, values of passwords, tokens and their like, user
// and password in URLs, and text that looks like base64 of something random.
//
// By its content, in the manager: whatever in the seed has such a form, or is a
// long word that nobody would type, also if it was written there in base64. Eight
// consecutive characters of it are enough.
//
// Both look at lines as they are and as they would be had nobody wrapped them, and
// at text without the sequences that colour it: a secret that is cut in two by
// either is found all the same. When in doubt, text is kept back.
//
// Nothing may enter that asks a host or the API server for anything.
package console
