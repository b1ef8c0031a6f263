// Who holds, as a session description says it (RFC 3264 §8.4): its audio's direction.

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive'

const DIRECTION = /^a=(sendrecv|sendonly|recvonly|inactive)\s*$/m

// The direction of the first audio stream; one that says none goes both ways (RFC 4566 §6).
export function directionOf(sdp: string): Direction {
  const [session = '', ...streams] = sdp.split(/^(?=m=)/m)
  const audio = streams.find((stream) => stream.startsWith('m=audio'))
  const said = DIRECTION.exec(audio ?? '') ?? DIRECTION.exec(session)
  return (said?.[1] as Direction | undefined) ?? 'sendrecv'
}

// Whether who offered this holds.
export function offerHolds(offer: string): boolean {
  const direction = directionOf(offer)
  return direction === 'sendonly' || direction === 'inactive'
}

// Whether who answered holds; null when our offer left it no way to say so, for it did not ask to be heard.
export function answerHolds(offer: string, answer: string): boolean | null {
  const asked = directionOf(offer)
  if (asked !== 'sendrecv' && asked !== 'sendonly') return null
  const direction = directionOf(answer)
  return direction === 'sendonly' || direction === 'inactive'
}
