import { htmlReport } from './html/page.ts'
import { junitReport } from './junit-report.ts'
import type { RenderedReport, ReportFormat, ReportInput } from './report.ts'

/** Renders a run. Everything in it that comes from an agent is data to the reader, in each of the formats. */
export function renderReport(input: ReportInput, format: ReportFormat): RenderedReport {
  switch (format) {
    case 'json':
      return { contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(input, undefined, 2)}\n` }
    case 'junit':
      return { contentType: 'application/xml; charset=utf-8', body: junitReport(input) }
    case 'html':
      return { contentType: 'text/html; charset=utf-8', ...htmlReport(input) }
  }
}
