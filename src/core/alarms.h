/* The alarms that Venus knows under /Alarms/. One list: it makes the enum, the names and, in venus/,
 * the paths we read and publish. */
#ifndef CORE_ALARMS_H
#define CORE_ALARMS_H

#define ALARM_LIST(X)                                       \
    X(LOW_VOLTAGE, "LowVoltage")                            \
    X(HIGH_VOLTAGE, "HighVoltage")                          \
    X(LOW_CELL_VOLTAGE, "LowCellVoltage")                   \
    X(HIGH_CELL_VOLTAGE, "HighCellVoltage")                 \
    X(HIGH_CURRENT, "HighCurrent")                          \
    X(HIGH_CHARGE_CURRENT, "HighChargeCurrent")             \
    X(HIGH_DISCHARGE_CURRENT, "HighDischargeCurrent")       \
    X(LOW_TEMPERATURE, "LowTemperature")                    \
    X(HIGH_TEMPERATURE, "HighTemperature")                  \
    X(LOW_CHARGE_TEMPERATURE, "LowChargeTemperature")       \
    X(HIGH_CHARGE_TEMPERATURE, "HighChargeTemperature")     \
    X(HIGH_INTERNAL_TEMPERATURE, "HighInternalTemperature") \
    X(TEMPERATURE_SENSOR, "BatteryTemperatureSensor")       \
    X(LOW_SOC, "LowSoc")                                    \
    X(STATE_OF_HEALTH, "StateOfHealth")                     \
    X(CELL_IMBALANCE, "CellImbalance")                      \
    X(INTERNAL_FAILURE, "InternalFailure")                  \
    X(CONTACTOR, "Contactor")                               \
    X(BMS_CABLE, "BmsCable")                                \
    X(FUSE_BLOWN, "FuseBlown")                              \
    X(MID_VOLTAGE, "MidVoltage")

enum alarm {
#define ALARM_ENUM(id, name) ALARM_##id,
    ALARM_LIST(ALARM_ENUM)
#undef ALARM_ENUM
        ALARM_COUNT
};

/* The name under /Alarms/, e.g. "LowVoltage". */
const char *alarm_name(enum alarm alarm);

#endif
