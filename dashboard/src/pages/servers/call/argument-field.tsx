import { Field } from "../../../components/field.tsx";
import { showHidden, showLine } from "../../../text.ts";
import type { FormField } from "./schema-form.ts";

interface ArgumentFieldProps {
  field: FormField;
  value: string;
  onChange: (value: string) => void;
}

/** One argument of a tool. */
export function ArgumentField({ field, value, onChange }: ArgumentFieldProps) {
  const { name, kind, isRequired, hint, choices } = field;
  const label = `${showLine(name).slice(0, 100)}${isRequired ? "" : " (optional)"}`;
  const options = kind === "boolean" ? ["true", "false"] : choices;
  return (
    <Field label={label} hint={hint === "" ? (kind === "json" ? "JSON" : undefined) : showHidden(hint)}>
      {(ids) => {
        if (kind === "boolean" || kind === "choice") {
          return (
            <select
              {...ids}
              className="select"
              required={isRequired}
              value={value}
              onChange={(event) => onChange(event.target.value)}
            >
              <option value="">–</option>
              {options.map((option) => (
                <option key={option} value={option}>
                  {optionText(option)}
                </option>
              ))}
            </select>
          );
        }
        if (kind === "json" || kind === "string") {
          return (
            <textarea
              {...ids}
              className={kind === "json" ? "textarea argument mono" : "textarea argument"}
              rows={kind === "json" ? 3 : 1}
              required={isRequired && kind === "json"}
              spellCheck={false}
              value={value}
              onChange={(event) => onChange(event.target.value)}
            />
          );
        }
        return (
          <input
            {...ids}
            className="input"
            type="number"
            step={kind === "integer" ? 1 : "any"}
            required={isRequired}
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
        );
      }}
    </Field>
  );
}

/** A choice is JSON; of one that is text the text is enough. */
function optionText(json: string): string {
  const value: unknown = JSON.parse(json);
  return showLine(typeof value === "string" ? value : json).slice(0, 200);
}
