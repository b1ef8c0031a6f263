// What a NOTIFY tells of a transfer: the status line in its `message/sipfrag` body (RFC 3420, RFC 3515 §2.4.5).

export interface Progress {
  status: number
  phrase: string
}

// `null` when there is no status line.
export function progressOf(body: string): Progress | null {
  const [, status, phrase] = /^SIP\/2\.0 ([1-6]\d\d) ?([^\r\n]*)/i.exec(body.trimStart()) ?? []
  return status === undefined ? null : { status: Number(status), phrase: phrase ?? '' }
}
