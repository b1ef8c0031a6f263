// The microphone: opening it, saying why that failed, and how loud it is.

// Why there is no microphone, in words that say what to do.
export class MicrophoneError extends Error {}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  NotAllowedError: 'The browser may not use the microphone. Allow it in the address bar, then call again.',
  SecurityError: 'The browser may not use the microphone. Allow it in the address bar, then call again.',
  NotFoundError: 'No microphone was found. Plug one in, then call again.',
  OverconstrainedError: 'No microphone was found. Plug one in, then call again.',
  NotReadableError: 'The microphone does not work or another program keeps it. Close that program, then call again.',
  AbortError: 'The microphone does not work. Try another one, then call again.'
}

// The message for an error of getUserMedia.
export function explain(error: unknown): MicrophoneError {
  const name = error instanceof Error ? error.name : ''
  const text = EXPLANATIONS[name] ?? `The microphone cannot be used: ${error instanceof Error ? error.message : String(error)}`
  return new MicrophoneError(text)
}

// Opens the microphone for one call. Whoever asked for it stops its tracks.
export async function openMicrophone(): Promise<MediaStream> {
  // Pages that were not loaded securely have no mediaDevices at all.
  if (!navigator.mediaDevices) {
    throw new MicrophoneError('The browser gives the microphone to pages over https only. Open this page with https.')
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      video: false
    })
  } catch (error) {
    throw explain(error)
  }
}

export function stop(stream: MediaStream | undefined): void {
  stream?.getTracks().forEach((track) => track.stop())
}

const QUIET_DB = -60
const LOUD_DB = -6

// Loudness as a share of the scale: 0 at -60 dB of full scale and below, 1 at -6 dB and above.
export function loudness(samples: Float32Array): number {
  let power = 0
  for (const sample of samples) power += sample * sample
  const db = 10 * Math.log10(Math.max(power / Math.max(samples.length, 1), 1e-12))
  return Math.min(1, Math.max(0, (db - QUIET_DB) / (LOUD_DB - QUIET_DB)))
}

// Measures a stream some 20 times a second until the returned function is called.
export function watchLoudness(stream: MediaStream, tell: (loudness: number) => void): () => void {
  const context = new AudioContext()
  const analyser = context.createAnalyser()
  analyser.fftSize = 2048
  context.createMediaStreamSource(stream).connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples)
    tell(loudness(samples))
  }, 50)
  return () => {
    clearInterval(timer)
    void context.close()
  }
}
