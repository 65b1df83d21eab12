/** A request that failed, with what the server says about it. */
export class ServerError extends Error {
  readonly status: number;
  /** A word that stays the same for one kind of failure; empty when the server names none. */
  readonly word: string;
  /** Seconds after which it may be tried again. */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, word = '', retryAfter?: number) {
    super(message);
    this.status = status;
    this.word = word;
    this.retryAfter = retryAfter;
  }
}

/** What changing requests of a session show (see `GET /api/me`). */
let csrfToken: string | undefined;
let onLoggedOut: (() => void) | undefined;

export function setCsrfToken(token: string | undefined): void {
  csrfToken = token;
}

export function csrfHeader(): Record<string, string> {
  return csrfToken === undefined ? {} : { 'X-CSRF-Token': csrfToken };
}

/** Called when the server no longer knows who asks. */
export function whenLoggedOut(action: () => void): void {
  onLoggedOut = action;
}

/** Says that an answer of 401 came. */
export function noteLoggedOut(): void {
  onLoggedOut?.();
}

export function get(path: string, signal?: AbortSignal): Promise<unknown> {
  return send('GET', path, undefined, signal);
}

export async function send(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<unknown> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (method !== 'GET') {
    Object.assign(headers, csrfHeader());
  }
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json';
  }
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    });
  } catch (error) {
    if (signal?.aborted === true) {
      throw error;
    }
    throw new ServerError(0, 'The server was not reached. Check the network, then try again.');
  }
  if (!response.ok) {
    const error = await failure(response);
    if (error.status === 401 && error.word === 'not-logged-in') {
      noteLoggedOut();
    }
    throw error;
  }
  return response.status === 204 ? undefined : response.json();
}

/** The failure of an answer: problem details (RFC 9457) where there are any. */
export async function failure(response: Response): Promise<ServerError> {
  const seconds = Number(response.headers.get('retry-after') ?? '');
  const retryAfter = seconds > 0 ? seconds : undefined;
  try {
    const problem: unknown = await response.json();
    if (isObject(problem)) {
      const text = textOf(problem['detail']) || textOf(problem['title']);
      const word = textOf(problem['type']).split(/[/:#]/).at(-1) ?? '';
      return new ServerError(response.status, sentence(text), word, retryAfter);
    }
  } catch {
    // Not JSON: a proxy's page, for one.
  }
  return new ServerError(response.status, `The server answered ${response.status}.`, '', retryAfter);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function sentence(text: string): string {
  const trimmed = text.trim();
  const whole = /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
  return whole.charAt(0).toUpperCase() + whole.slice(1);
}
