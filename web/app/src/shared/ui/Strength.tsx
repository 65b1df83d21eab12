import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { send, type ServerError } from '../api/request.ts';
import type { Strength } from '../api/types.ts';

const WORDS = ['very easy to guess', 'easy to guess', 'could be guessed', 'hard to guess', 'very hard to guess'];

/** A value once it has not changed for a moment. */
function useSettled(value: string, milliseconds: number): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(value), milliseconds);
    return () => window.clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

/** How hard a password is to guess, as the server judges it. */
export function useStrength(password: string, login: string, name: string) {
  const settled = useSettled(password, 250);
  const query = useQuery<Strength, ServerError>({
    // Nothing of it stays in memory.
    queryKey: ['strength', settled, login, name],
    gcTime: 0,
    queryFn: async ({ signal }) =>
      (await send('POST', 'api/password-strength', { password: settled, login, name }, signal)) as Strength,
    enabled: settled !== '',
    placeholderData: (previous) => previous,
  });
  return password === '' ? undefined : query.data;
}

/** The meter beside a new password. */
export function StrengthMeter({ strength }: { strength: Strength | undefined }) {
  const score = strength?.score ?? 0;
  const words = strength === undefined ? '' : (WORDS[score] ?? '');
  return (
    <div className="strength" aria-live="polite">
      <meter
        aria-label="Strength of the password"
        min={0}
        max={4}
        low={2}
        high={3}
        optimum={4}
        value={strength === undefined ? 0 : Math.max(score, 0.3)}
      />
      <p className="hint">
        {strength === undefined
          ? 'A few unusual words make a good password.'
          : [`This password is ${words}.`, strength.warning, ...strength.suggestions]
              .filter((text) => text !== '')
              .join(' ')}
      </p>
    </div>
  );
}
