export { renderReport } from './render-report.ts'
export type { RenderedReport, ReportFormat, ReportInput } from './report.ts'
