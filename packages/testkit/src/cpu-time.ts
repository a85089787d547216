/**
 * Milliseconds of processor time that this thread spends on `work`. What other processes and threads do meanwhile is not in it, so a bound
 * on it says what the work costs and not how busy the machine is.
 */
export function cpuMsOf(work: () => void): number {
  const before = process.threadCpuUsage()
  work()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
