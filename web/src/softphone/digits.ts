// Digits in a call: RFC 4733 through the browser, or SIP INFO where the browser has no sender for them.

const KEYS = /^[0-9A-D*#]$/
const PRESS_MS = 120
const PAUSE_MS = 80

export function isKey(key: string): boolean {
  return KEYS.test(key)
}

// The part of a peer connection that sends digits.
export interface DigitSender {
  readonly canInsertDTMF: boolean
  readonly toneBuffer: string
  insertDTMF(tones: string, duration?: number, pause?: number): void
}

// Queues a digit behind those still being sent, for insertDTMF replaces what it has not begun. False when the browser cannot.
export function press(sender: DigitSender | null | undefined, key: string): boolean {
  if (!sender?.canInsertDTMF) return false
  sender.insertDTMF(sender.toneBuffer + key, PRESS_MS, PAUSE_MS)
  return true
}

// The body of a SIP INFO that carries a digit.
export function infoBody(key: string): { contentType: string; content: string } {
  return { contentType: 'application/dtmf-relay', content: `Signal=${key}\r\nDuration=${PRESS_MS}\r\n` }
}
