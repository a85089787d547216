/** Longest wait that a caller may ask for. */
const WAIT_MAX_S = 60

/** Milliseconds of `Prefer: wait=N` (RFC 7240), at most a minute; undefined when the header asks for no wait. */
export function preferredWaitMs(prefer: string | undefined): number | undefined {
  const match = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?(?:$|[,;\s])/i.exec(prefer ?? '')
  return match?.[1] === undefined ? undefined : Math.min(Number(match[1]), WAIT_MAX_S) * 1000
}
