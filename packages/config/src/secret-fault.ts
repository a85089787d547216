/** Why a secret is refused. `problem` and `fix` are for people and never hold any part of the value. */
export type SecretFault = Readonly<{ code: SecretFaultCode; problem: string; fix: string }>

export type SecretFaultCode =
  | 'empty'
  | 'white-space'
  | 'quoted'
  | 'unprintable'
  | 'stand-in'
  | 'too-short'
  | 'too-long'
  | 'predictable'
  | 'low-entropy'
  | 'not-a-key'
  | 'not-a-url'
