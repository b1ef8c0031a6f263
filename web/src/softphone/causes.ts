// What a SIP status or a Reason header means to the person at the phone. Texts only; who shows them decides when.

export interface Refusal {
  status: number
  // The server's own words.
  phrase: string
  // Reason headers (RFC 3326), as received.
  reasons: readonly string[]
}

const BY_STATUS: ReadonlyMap<number, string> = new Map([
  [400, 'The gateway could not read the call.'],
  [401, 'The gateway did not accept this sign-in.'],
  [403, 'You are not allowed to call this number.'],
  [404, 'This number does not exist.'],
  [407, 'The gateway did not accept this sign-in.'],
  [408, 'Nobody answered.'],
  [410, 'This number is no longer in use.'],
  [415, 'The other side does not speak a codec of this browser.'],
  [480, 'Not available at the moment.'],
  [484, 'The number is incomplete.'],
  [486, 'Busy.'],
  [487, 'The call was given up.'],
  [488, 'The other side does not speak a codec of this browser.'],
  [500, 'The gateway failed. Please try again.'],
  [502, 'The line to the number failed. Please try again.'],
  [503, 'No line is free at the moment. Please try again later.'],
  [504, 'The line to the number did not respond. Please try again.'],
  [600, 'Busy.'],
  [603, 'The call was declined.'],
  [604, 'This number does not exist.'],
  [607, 'The call was declined as unwanted.'],
  [608, 'The call was declined.']
])

// Cause values of ITU-T Q.850 that say more than the SIP status they come with.
const BY_Q850: ReadonlyMap<number, string> = new Map([
  [1, 'This number does not exist.'],
  [17, 'Busy.'],
  [18, 'Nobody answered.'],
  [19, 'Nobody answered.'],
  [21, 'The call was declined.'],
  [22, 'The number has changed.'],
  [27, 'The other side is out of order.'],
  [28, 'The number is incomplete.'],
  [34, 'No line is free at the moment. Please try again later.'],
  [38, 'The network is out of order. Please try again later.'],
  [41, 'The network failed for a moment. Please try again.'],
  [42, 'The network is overloaded. Please try again later.']
])

// The cause of a protocol in Reason headers, such as 17 in `Q.850;cause=17;text="User busy"`.
export function causeOf(protocol: 'SIP' | 'Q.850', reasons: readonly string[]): number | null {
  for (const reason of reasons) {
    const [name, ...parameters] = reason.split(';')
    if (name?.trim().toUpperCase() !== protocol) continue
    const cause = parameters.map((parameter) => /^\s*cause\s*=\s*(\d+)\s*$/i.exec(parameter)?.[1]).find(Boolean)
    if (cause) return Number(cause)
  }
  return null
}

// Why a call that the agent made came to nothing.
export function refusalText({ status, phrase, reasons }: Refusal): string {
  const cause = causeOf('Q.850', reasons)
  const text = (cause === null ? undefined : BY_Q850.get(cause)) ?? BY_STATUS.get(status)
  return text ?? `The call failed: ${status} ${phrase}`.trim()
}

// Whether a call that was to be returned to is over for good (RFC 3891 §3).
export function isOver({ status }: Refusal): boolean {
  return [404, 481, 487, 603].includes(status)
}

// Why a call could not be returned to.
export function returnText(refusal: Refusal): string {
  return isOver(refusal) ? 'The call has ended.' : refusalText(refusal)
}

// Why an incoming call stopped ringing.
export function cancelText(reasons: readonly string[]): string {
  return causeOf('SIP', reasons) === 200 ? 'Answered by someone else.' : 'The caller hung up.'
}

// Why a registration was refused for good; null when trying again may help.
export function registrationText(status: number): string | null {
  switch (status) {
    case 401:
    case 403:
    case 407:
      return 'The address or the secret is wrong.'
    case 404:
      return 'There is no such address on this gateway.'
    default:
      return null
  }
}
