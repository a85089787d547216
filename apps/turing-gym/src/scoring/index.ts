export type { ModelEndpoint } from './ask-model.ts'
export { createJudge } from './judge.ts'
export type { Judge } from './judge.ts'
export { score, scoreSample } from './score-sample.ts'
export { ScoringFault } from './scorer.ts'
export type {
  ArtifactReader,
  Evidence,
  EvidenceEvent,
  EvidenceOutcome,
  EvidenceStep,
  Judgement,
  SampleScore,
  ScoreTools,
} from './scorer.ts'
export { ScorerModuleError, loadScorerModules } from './scorer-modules.ts'
export type { LoadedScorer, ScorerModules } from './scorer-modules.ts'
