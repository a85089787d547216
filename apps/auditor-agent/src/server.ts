import { serve } from '@hypercode/base-agent'
import { auditor } from './agent.ts'

await serve(auditor)
