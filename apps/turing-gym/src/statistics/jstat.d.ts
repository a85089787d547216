/** What is used of jstat, which brings no types. */
declare module 'jstat' {
  const jstat: {
    readonly normal: { inv(probability: number, mean: number, standardDeviation: number): number }
    readonly binomial: { cdf(successes: number, trials: number, probability: number): number }
    readonly hypgeom: { pdf(marked: number, total: number, markedInAll: number, drawn: number): number }
  }
  export default jstat
}
