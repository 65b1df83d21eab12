/** What the server's API gives. Times are microseconds since 1970. */

export type Right =
  | 'view'
  | 'download'
  | 'store'
  | 'modify'
  | 'delete'
  | 'export'
  | 'share'
  | 'de-identify'
  | 'report'
  | 'sign'
  | 'administer'
  | 'audit';

export type PatientIdentity = { patient_id: string; issuer?: string | null };

/** Which studies: those that meet every condition; an empty list is no condition. */
export type Scope = {
  sites: string[];
  departments: string[];
  modalities: string[];
  patients: PatientIdentity[];
  labels: string[];
  studies: string[];
  own_names: string[];
  includes_restricted: boolean;
};

export type GrantInWords = {
  text: string;
  rights: Right[];
  scope: Scope;
  until: number | null;
  source: string;
};

export type Person = {
  id: number;
  login: string;
  kind: 'person' | 'service';
  name: string;
  email: string;
  dicom_names: string[];
  is_active: boolean;
  roles: string[];
  external_roles: string[];
  created: number;
  last_seen: number | null;
  has_password: boolean;
  has_totp: boolean;
  passkeys: number;
  issuer: string | null;
};

export type Me = {
  is_demo?: boolean;
  person: Person | null;
  credential?: string | null;
  csrf_token?: string | null;
  rights: Right[];
  grants: GrantInWords[];
  recovery_codes_left?: number;
};

export type Session = {
  id: number;
  created: number;
  last_used: number;
  ends: number;
  address: string | null;
  user_agent: string;
  method: string;
  is_this?: boolean;
};

export type Token = {
  id: number;
  login: string;
  name: string;
  rights: Right[];
  scope: Scope;
  created: number;
  ends: number | null;
  last_used: number | null;
  last_address: string | null;
  revoked: number | null;
};

export type PersonalGrant = {
  id: number;
  rights: Right[];
  scope: Scope;
  ends: number | null;
  reason: string;
  granted_by: string | null;
  created: number;
};

export type Role = {
  name: string;
  description: string;
  rights: Right[];
  scope: Scope;
  only_own_studies: boolean;
  is_built_in: boolean;
};

export type Share = {
  id: number;
  study: string;
  series: string | null;
  has_pin: boolean;
  may_download: boolean;
  note: string;
  login: string;
  created: number;
  ends: number;
  revoked: number | null;
  uses: number;
  last_used: number | null;
};

export type BreakGlass = {
  id: number;
  login: string;
  name: string;
  reason: string;
  rights: Right[];
  scope: Scope;
  opened: number;
  ends: number;
  address: string | null;
  reviewed: number | null;
  reviewed_by: string | null;
  review_note: string | null;
};

export type LoginWays = {
  is_demo: boolean;
  needs_set_up: boolean;
  password: boolean;
  passkey?: boolean;
  /** Identity providers at which one can log in. */
  providers?: { name: string; title: string; url: string }[];
  password_length_min?: number;
  password_strength_min?: number;
};

export type LoginAnswer =
  | { status: 'logged-in'; csrf_token: string }
  | { status: 'second-factor'; ticket: string };

export type Strength = {
  score: number;
  is_enough: boolean;
  warning: string;
  suggestions: string[];
};

export type AuditEvent = {
  sequence: number;
  at: string;
  recorded: string;
  kind: string;
  action: string;
  message: string;
  /** 0 is success (RFC 3881). */
  outcome: number;
  text?: string;
  actor: {
    door: string;
    user?: string;
    roles?: string[];
    credential?: string;
    calling_ae?: string;
    address?: string;
  };
  other?: string;
  patient?: { id: string; issuer?: string };
  studies?: { uid: string; series?: string[]; instances?: number; accession?: string }[];
  question?: { of: string; text: string };
  subject?: { what: string; id: string };
  reason?: string;
  before?: unknown;
  after?: unknown;
  summary?: { accesses: number; from: string; until: string };
};

export type AuditPage = { events: AuditEvent[]; before: number | null };

export type Verdict = {
  is_sound: boolean;
  events: number;
  head: string | null;
  is_keyed: boolean;
  problems: string[];
  problems_total: number;
};

export const EVERYTHING: Scope = {
  sites: [],
  departments: [],
  modalities: [],
  patients: [],
  labels: [],
  studies: [],
  own_names: [],
  includes_restricted: true,
};

export const NOT_RESTRICTED: Scope = { ...EVERYTHING, includes_restricted: false };
