export { createSuiteReader } from './suite-reader.ts'
export type { SuiteReader } from './suite-reader.ts'
