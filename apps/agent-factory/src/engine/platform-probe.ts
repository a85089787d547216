/** Knows whether agents can reach the platform: when they cannot, their silence says nothing about them. */
export interface PlatformProbe {
  /** Asks once; run it as a loop. Never throws. */
  look(): Promise<void>
  /** The platform has answered at every look for at least this long. */
  hasAnsweredFor(ms: number): boolean
}

const TIMEOUT_MS = 2000

export function createPlatformProbe(agentUrl: string): PlatformProbe {
  const url = new URL('/livez', agentUrl)
  let sinceMs: number | undefined

  const answers = async (): Promise<boolean> => {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) })
      await response.arrayBuffer()
      return response.ok
    } catch {
      return false // whatever the reason is, agents have it too
    }
  }

  return {
    async look() {
      if (!(await answers())) sinceMs = undefined
      else sinceMs ??= performance.now()
    },
    hasAnsweredFor: (ms) => sinceMs !== undefined && performance.now() - sinceMs >= ms,
  }
}
