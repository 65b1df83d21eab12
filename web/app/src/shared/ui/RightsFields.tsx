import type { Right } from '../api/types.ts';
import { RIGHTS } from '../rights.ts';
import { Check } from './Field.tsx';

/** Rights to be ticked; only those of `offered`. */
export function RightsFields({
  rights,
  offered,
  onChange,
}: {
  rights: readonly Right[];
  offered?: readonly Right[];
  onChange: (rights: Right[]) => void;
}) {
  return (
    <fieldset>
      <legend>Rights</legend>
      <div className="checks">
        {RIGHTS.filter(({ right }) => offered?.includes(right) ?? true).map(({ right, label, hint }) => (
          <Check
            key={right}
            label={label}
            hint={hint}
            checked={rights.includes(right)}
            onChange={(event) =>
              onChange(
                event.target.checked ? [...rights, right] : rights.filter((other) => other !== right),
              )
            }
          />
        ))}
      </div>
    </fieldset>
  );
}
