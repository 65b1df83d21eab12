import { useState } from 'react';
import type { Scope } from '../api/types.ts';
import { Check, Field } from './Field.tsx';

type ListName = 'sites' | 'departments' | 'modalities' | 'labels' | 'studies';

const LISTS: { name: ListName; label: string; placeholder: string }[] = [
  { name: 'modalities', label: 'Modalities', placeholder: 'any; e.g. CT, MR' },
  { name: 'sites', label: 'Sites', placeholder: 'any' },
  { name: 'departments', label: 'Departments', placeholder: 'any' },
  { name: 'labels', label: 'Labels', placeholder: 'any' },
  { name: 'studies', label: 'Study Instance UIDs', placeholder: 'any' },
];

/** A list as text, kept as typed: commas and spaces at the end would vanish otherwise. */
function ListField({
  label,
  placeholder,
  values,
  onChange,
}: {
  label: string;
  placeholder: string;
  values: readonly string[];
  onChange: (values: string[]) => void;
}) {
  const [text, setText] = useState(values.join(', '));
  return (
    <Field
      label={label}
      placeholder={placeholder}
      value={text}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => {
        setText(event.target.value);
        onChange(
          event.target.value
            .split(',')
            .map((value) => value.trim())
            .filter((value) => value !== ''),
        );
      }}
    />
  );
}

/** Which studies. */
export function ScopeFields({ scope, onChange }: { scope: Scope; onChange: (scope: Scope) => void }) {
  return (
    <fieldset>
      <legend>Studies</legend>
      <p className="hint">
        A study has to meet every line that is filled in; of a line with several values, one is enough.
      </p>
      <div className="columns">
        {LISTS.map(({ name, label, placeholder }) => (
          <ListField
            key={name}
            label={label}
            placeholder={placeholder}
            values={scope[name]}
            onChange={(values) => onChange({ ...scope, [name]: values })}
          />
        ))}
        <ListField
          label="Patient IDs"
          placeholder="any"
          values={scope.patients.map((patient) => patient.patient_id)}
          onChange={(ids) => onChange({ ...scope, patients: ids.map((patient_id) => ({ patient_id })) })}
        />
      </div>
      <Check
        label="Restricted studies too"
        hint="embargo, VIP, consent withheld"
        checked={scope.includes_restricted}
        onChange={(event) => onChange({ ...scope, includes_restricted: event.target.checked })}
      />
    </fieldset>
  );
}
