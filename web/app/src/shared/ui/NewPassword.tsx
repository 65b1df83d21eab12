import type { Strength } from '../api/types.ts';
import { Field } from './Field.tsx';
import { StrengthMeter } from './Strength.tsx';

/** A new password, twice, with the meter. */
export function NewPassword({
  password,
  repeated,
  strength,
  onPassword,
  onRepeated,
}: {
  password: string;
  repeated: string;
  strength: Strength | undefined;
  onPassword: (password: string) => void;
  onRepeated: (repeated: string) => void;
}) {
  const differs = repeated !== '' && repeated !== password;
  return (
    <>
      <div>
        <Field
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          value={password}
          onChange={(event) => onPassword(event.target.value)}
        />
        <StrengthMeter strength={strength} />
      </div>
      <Field
        label="New password once more"
        type="password"
        autoComplete="new-password"
        required
        value={repeated}
        aria-invalid={differs}
        onChange={(event) => onRepeated(event.target.value)}
        hint={differs ? 'The two are not the same.' : undefined}
      />
    </>
  );
}
