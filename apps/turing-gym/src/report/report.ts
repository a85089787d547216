import type { GymComparison, GymRun, GymSample } from '@hypercode/contracts'

/** What a report is made of. The run has its `scenarios`; the samples are all of it, in the order of their plan. */
export interface ReportInput {
  readonly run: GymRun
  readonly samples: readonly GymSample[]
  readonly comparison?: GymComparison
}

export type ReportFormat = 'json' | 'junit' | 'html'

/** A report as it is sent: the body, and the headers that a browser needs to show it safely. */
export interface RenderedReport {
  readonly body: string
  readonly contentType: string
  /** Of the HTML page alone: no request leaves it, and only its own style and script run. */
  readonly contentSecurityPolicy?: string
}
