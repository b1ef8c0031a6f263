// Agents' addresses and dialled numbers.

export interface Address {
  user: string
  domain: string
}

// Takes `sip:1000@example.com`, `1000@example.com`, or `1000` at the given domain; null when it is none of them.
export function parseAddress(text: string, defaultDomain: string): Address | null {
  const match = /^(?:sips?:)?([^\s@:;]+)(?:@([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]))?$/i.exec(text.trim())
  if (!match?.[1]) return null
  return { user: match[1], domain: match[2] ?? defaultDomain }
}

// What was typed or pasted, without the marks people write between digits. Names of extensions stay as they are.
export function dialled(text: string): string {
  const trimmed = text.trim()
  return /^[\d+*#()\s./-]+$/.test(trimmed) ? trimmed.replace(/[()\s./-]/g, '') : trimmed
}

// The SIP URI of a number at the agent's own domain; `#` and what else has a meaning in a URI is escaped (RFC 3261 §19.1.2).
export function callUri(number: string, domain: string): string {
  return `sip:${encodeURIComponent(number).replaceAll('%2B', '+')}@${domain}`
}
